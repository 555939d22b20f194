--- Menu item: the selection with the settings of the last time.

require("EnhanceCommand").start(require("Prefs").settings)
