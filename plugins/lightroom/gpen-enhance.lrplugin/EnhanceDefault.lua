--- Menu item: the selection with the built-in preset "default".

require("EnhanceCommand").startWithPreset("default")
