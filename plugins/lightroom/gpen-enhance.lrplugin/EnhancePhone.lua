--- Menu item: the selection with the built-in preset "phone".

require("EnhanceCommand").startWithPreset("phone")
