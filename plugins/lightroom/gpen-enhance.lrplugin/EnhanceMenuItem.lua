--- Menu item: the dialog first, then the selection.

require("EnhanceCommand").start(require("SettingsDialog").choose)
