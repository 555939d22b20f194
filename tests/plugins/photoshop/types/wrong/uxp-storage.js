const { storage } = require("uxp");
module.exports = () => storage.secureStorage.get("token");
