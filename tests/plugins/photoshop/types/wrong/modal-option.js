const { core } = require("photoshop");
module.exports = () => core.executeAsModal(async () => {}, { name: "GPEN" });
