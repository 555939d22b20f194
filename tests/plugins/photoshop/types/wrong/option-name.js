const { imaging } = require("photoshop");
module.exports = () => imaging.getPixels({ documentId: 1, layerID: 2 });
