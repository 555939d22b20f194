--- Where settings are kept between runs: the host's preferences, and its key chain for the token.

local LrPasswords = import "LrPasswords"
local LrPrefs = import "LrPrefs"

local Settings = require "Settings"

local Prefs = {}

local TOKEN = "bridge-token"
local SALT = "gpen-enhance"

local prefs = LrPrefs.prefsForPlugin()

--- The user's last settings, whole and valid whatever the preferences hold.
function Prefs.settings()
    return Settings.clamped(prefs.settings)
end

--- Keep settings. (Nested tables are kept as assigned, so a whole new one is.)
function Prefs.keepSettings(settings)
    prefs.settings = Settings.clamped(settings)
end

--- The connection: { remoteUrl = address or "", startCommand = text or "" }.
function Prefs.connection()
    local kept = prefs.connection
    if type(kept) ~= "table" then kept = {} end
    return { remoteUrl = kept.remoteUrl or "", startCommand = kept.startCommand or "" }
end

--- Keep the connection.
function Prefs.keepConnection(connection)
    prefs.connection = { remoteUrl = connection.remoteUrl or "", startCommand = connection.startCommand or "" }
end

--- The token that pairing with a remote bridge gave; nil when there is none.
function Prefs.token()
    local token = LrPasswords.retrieve(TOKEN, SALT)
    return token ~= "" and token or nil
end

--- Keep the token of a remote bridge.
function Prefs.keepToken(token)
    LrPasswords.store(TOKEN, token, SALT)
end

return Prefs
