--- Menu item: how to use the plug-in.

require("HelpItems").showHelp()
