const { action } = require("photoshop");
module.exports = () => action.recordAction({ name: "GPEN" }, {});
