--- What Lightroom Classic sees of the plug-in. Runs in a tiny environment: no import, no require.

local presets = {
    { title = LOC "$$$/GPEN/Menu/Default=GPEN Enhance: Default", file = "EnhanceDefault.lua" },
    { title = LOC "$$$/GPEN/Menu/Dslr=GPEN Enhance: DSLR", file = "EnhanceDslr.lua" },
    { title = LOC "$$$/GPEN/Menu/Phone=GPEN Enhance: Phone", file = "EnhancePhone.lua" },
    { title = LOC "$$$/GPEN/Menu/OldPhoto=GPEN Enhance: Old Photo", file = "EnhanceOldPhoto.lua" },
}

-- The same items in both menus: Lightroom shows the Library menu only in the Library.
local function items()
    local list = {
        { title = LOC "$$$/GPEN/Menu/Enhance=GPEN Enhance^.", file = "EnhanceMenuItem.lua" },
        { title = LOC "$$$/GPEN/Menu/Again=GPEN Enhance (Last Settings)", file = "EnhanceAgain.lua" },
        presets[1], presets[2], presets[3], presets[4],
    }
    for index = 1, #list do
        list[index] = { title = list[index].title, file = list[index].file, enabledWhen = "photosSelected" }
    end
    list[#list + 1] = {
        title = LOC "$$$/GPEN/Menu/Collect=Collect Rejected GPEN Results",
        file = "CollectRejected.lua",
        enabledWhen = "photosAvailable",
    }
    list[#list + 1] = { title = LOC "$$$/GPEN/Menu/Resume=Finish Interrupted GPEN Runs", file = "ResumeMenuItem.lua" }
    return list
end

return {
    LrSdkVersion = 14.0,
    LrSdkMinimumVersion = 11.0,
    LrToolkitIdentifier = "org.gpen-enhance.lightroom",
    LrPluginName = LOC "$$$/GPEN/Name=GPEN Enhance",
    LrPluginInfoProvider = "PluginInfo.lua",
    LrInitPlugin = "Init.lua",
    LrForceInitPlugin = true,

    LrLibraryMenuItems = items(),
    LrExportMenuItems = items(),
    LrHelpMenuItems = {
        { title = LOC "$$$/GPEN/Menu/Help=GPEN Enhance Help", file = "HelpMenuItem.lua" },
        { title = LOC "$$$/GPEN/Menu/Log=GPEN Enhance: Show Log", file = "LogMenuItem.lua" },
    },

    LrExportFilterProvider = {
        title = LOC "$$$/GPEN/Filter/Title=GPEN Enhance",
        file = "ExportFilter.lua",
        id = "enhance",
    },
    LrExportServiceProvider = {
        title = LOC "$$$/GPEN/Service/Title=GPEN Enhance",
        file = "ExportService.lua",
        builtInPresetsDir = "presets",
    },
    LrMetadataProvider = "MetadataDefinition.lua",
    LrLimitNumberOfTempRenditions = true,

    VERSION = { major = 0, minor = 1, revision = 0 },
}
