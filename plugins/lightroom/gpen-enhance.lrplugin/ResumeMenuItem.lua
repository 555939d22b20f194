--- Menu item: finish what was interrupted.

require("ResumeCommand").start()
