--- Menu item: the selection with the built-in preset "dslr".

require("EnhanceCommand").startWithPreset("dslr")
