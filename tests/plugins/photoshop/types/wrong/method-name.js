const { imaging } = require("photoshop");
module.exports = () => imaging.readPixels({});
