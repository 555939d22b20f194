const { imaging } = require("photoshop");
/** @param {import("photoshop/dom/ImagingModule").imaging.PhotoshopImageData} imageData */
module.exports = (imageData) => imaging.putLayerMask({ layerID: 1, imageData, kind: "vector" });
