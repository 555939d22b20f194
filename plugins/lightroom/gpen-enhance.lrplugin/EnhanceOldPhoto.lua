--- Menu item: the selection with the built-in preset "old-photo".

require("EnhanceCommand").startWithPreset("old-photo")
