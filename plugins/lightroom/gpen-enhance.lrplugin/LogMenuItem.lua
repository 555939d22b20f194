--- Menu item: the log, where the host keeps it.

require("HelpItems").showLog()
