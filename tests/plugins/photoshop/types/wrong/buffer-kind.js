const { imaging } = require("photoshop");
module.exports = () => imaging.createImageDataFromBuffer(new Int8Array(3), { width: 1, height: 1, components: 3, colorSpace: "RGB" });
