const { imaging } = require("photoshop");
/** @param {import("photoshop/dom/ImagingModule").imaging.PhotoshopImageData} imageData */
module.exports = (imageData) => imaging.putPixels({ imageData });
