const { imaging } = require("photoshop");
module.exports = () => imaging.getPixels({ componentSize: 12 });
