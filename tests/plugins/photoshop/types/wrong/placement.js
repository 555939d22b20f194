const { app, constants } = require("photoshop");
module.exports = () => app.activeDocument.layers[0].move(app.activeDocument.layers[1], constants.ElementPlacement.ABOVE);
