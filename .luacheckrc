-- Lightroom's Lua, as the plug-in sees it (plugins/lightroom), and the emulator's own (tests/plugins/lightroom).
stds.lightroom = {
    read_globals = {
        "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset",
        "select", "setmetatable", "tonumber", "tostring", "type", "unpack",
        "string", "math", "import", "require", "LOC", "_PLUGIN", "WIN_ENV", "MAC_ENV",
        table = { fields = { "concat", "insert", "remove", "sort" } },
        io = { fields = { "open" } },
        os = { fields = { "clock", "date", "time", "tmpname" } },
    },
}
stds.lightroom_info = { read_globals = { "string", "LOC", "WIN_ENV", "MAC_ENV", "_VERSION" } }

std = "lightroom"
max_line_length = 130
max_comment_line_length = 120
max_string_line_length = false -- a sentence in LOC cannot be split
files["**/Info.lua"] = { std = "lightroom_info" }
files["tests/plugins/lightroom/sdk"] = { std = "lua51" }
