"""What of the SDK the plug-in may use: the emulator gives these names and refuses every other.

Derived from Adobe's public API reference (levels 11.4 to 15.3), only the names that are needed.
Marks behind a name: `!` runs inside a task only; `~` yields, so it must not stand inside a plain
pcall, a metamethod or a C callback; `w` needs a write gate, `p` a private gate at least.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMESPACES: dict[str, str] = {
    "LrApplication": "activeCatalog versionString",
    "LrBinding": "makePropertyTable",
    "LrColor": "",
    "LrDate": "currentTime timeToUserFormat timeToW3CDate",
    "LrDialogs": (
        "confirm message presentModalDialog runOpenPanel showBezel attachErrorDialogToFunctionContext"
    ),
    "LrErrors": "throwUserError throwCanceled isCanceledError",
    "LrExportSession": "",
    "LrFileUtils": (
        "chooseUniqueFileName copy createAllDirectories delete directoryEntries exists fileAttributes "
        "files isWritable move moveToTrash readFile volumeAttributes"
    ),
    "LrFunctionContext": "callWithContext postAsyncTaskWithContext",
    "LrHttp": "get!~ post!~ openUrlInBrowser",
    "LrLocalization": "currentLanguage",
    "LrLogger": "",
    "LrPasswords": "retrieve store",
    "LrPathUtils": (
        "addExtension child extension getStandardFilePath leafName parent removeExtension replaceExtension"
    ),
    "LrPrefs": "prefsForPlugin",
    "LrProgressScope": "",
    "LrShell": "revealInShell openFilesInApp",
    "LrTasks": ("canYield execute!~ pcall sleep!~ startAsyncTask startAsyncTaskWithoutErrorHandler yield!~"),
    "LrView": "bind osFactory conditionalItem",
}
"""Namespaces that `import` gives; those with an empty list are constructors."""

CLASSES: dict[str, str] = {
    "LrCatalog": (
        "addPhoto!~w batchGetFormattedMetadata~ batchGetPropertyForPlugin~ batchGetRawMetadata~ "
        "createCollection!~w createKeyword!~w findPhotoByPath!~ findPhotoByUuid!~ findPhotosWithProperty!~ "
        "getChildCollections!~ getPath getTargetPhoto~ getTargetPhotos~ setSelectedPhotos "
        "withPrivateWriteAccessDo!~ withWriteAccessDo!~"
    ),
    "LrCollection": "addPhotos!~w getName!~ getPhotos!~ isSmartCollection!~ removeAllPhotos!w removePhotos!w",
    "LrExportContext": "configureProgress renditions~",
    "LrExportRendition": "renditionIsDone skipRender uploadFailed waitForRender!~",
    "LrExportSession": "countRenditions~ photosToExport removePhoto renditions~",
    "LrFilterContext": "renditions~",
    "LrKeyword": "getName!~",
    "LrLogger": "enable trace debug info warn error",
    "LrPhoto": (
        "addKeyword!~w checkPhotoAvailability!~ getDevelopSettings!~ getFormattedMetadata!~ "
        "getPropertyForPlugin!~ getRawMetadata!~ setPropertyForPlugin!~p setRawMetadata!~w"
    ),
    "LrPlugin": "hasResource resourceId",
    "LrProgressScope": "cancel done isCanceled setCancelable setCaption setPortionComplete",
    "functionContext": "addCleanupHandler addFailureHandler",
}

PROPERTIES: dict[str, str] = {
    "LrCatalog": "hasWriteAccess",
    "LrCollection": "localIdentifier",
    "LrExportContext": "exportSession propertyTable",
    "LrExportRendition": "destinationPath photo wasSkipped",
    "LrFilterContext": "propertyTable renditionsToSatisfy sourceExportSession",
    "LrKeyword": "localIdentifier",
    "LrPhoto": "catalog localIdentifier",
    "LrPlugin": "enabled id path",
}

RAW = _words(
    "uuid path isVideo isVirtualCopy masterPhoto fileFormat smartPreviewInfo rating colorNameForLabel "
    "pickStatus gps gpsAltitude copyrightState keywords dimensions croppedDimensions width height "
    "dateTimeOriginal dateTimeOriginalISO8601 lastEditTime isInStackInFolder stackPositionInFolder"
)
FORMATTED = _words(
    "fileName copyName title caption copyright label creator creatorEmail creatorUrl "
    "headline rightsUsageTerms copyrightInfoUrl location city stateProvince country isoCountryCode "
    "instructions jobIdentifier provider source dateCreated dateTimeOriginal folderName"
)
WRITABLE = _words(
    "rating label colorNameForLabel pickStatus gps gpsAltitude title caption copyright copyrightState "
    "creator creatorEmail creatorUrl headline rightsUsageTerms copyrightInfoUrl location city "
    "stateProvince country isoCountryCode instructions jobIdentifier provider source dateCreated"
)

EXPORT_KEYS = _words(
    "LR_format LR_export_bitDepth LR_export_colorSpace LR_tiff_compressionMethod "
    "LR_tiff_preserveTransparency LR_enableHDRDisplay LR_size_doConstrain LR_size_doNotEnlarge "
    "LR_size_resizeType LR_size_maxWidth LR_size_maxHeight LR_size_units LR_outputSharpeningOn "
    "LR_useWatermark LR_embeddedMetadataOption LR_minimizeEmbeddedMetadata LR_metadata_keywordOptions "
    "LR_removeLocationMetadata LR_removeFaceMetadata LR_includeVideoFiles LR_reimportExportedPhoto "
    "LR_export_destinationType LR_export_destinationPathPrefix LR_export_useSubfolder "
    "LR_collisionHandling LR_renamingTokensOn LR_tokens LR_extensionCase LR_jpeg_quality "
    "LR_jpeg_useLimitSize LR_jpeg_limitSize LR_cantExportBecause"
)

_VIEW = "bind_to_object tooltip visible fill fill_horizontal fill_vertical width height place_horizontal "
_VIEW += "place_vertical margin margin_top margin_bottom margin_left margin_right spacing place"
_CONTROL = " enabled font size"
_TEXT = " height_in_lines width_in_chars title alignment truncation selectable text_color wrap"
_EDITABLE = " value immediate validate precision min max placeholder_string"

CONTROLS: dict[str, frozenset[str]] = {
    name: _words(_VIEW + keys)
    for name, keys in {
        "row": "",
        "column": "",
        "group_box": " title show_title font",
        "static_text": _CONTROL + _TEXT + " mouse_down",
        "edit_field": _CONTROL + _TEXT + _EDITABLE,
        "password_field": _CONTROL + _TEXT + _EDITABLE,
        "checkbox": _CONTROL + " title value checked_value unchecked_value",
        "radio_button": _CONTROL + " title value checked_value",
        "popup_menu": _CONTROL + " value items value_equal title",
        "slider": _CONTROL + " value min max integral",
        "push_button": _CONTROL + " title action",
        "picture": " value frame_width frame_color",
        "scrolled_view": " background_color horizontal_scroller vertical_scroller",
        "separator": "",
        "spacer": "",
        "tab_view": " value font size",
        "tab_view_item": " title identifier",
    }.items()
}

FACTORY_FUNCTIONS = "control_spacing label_spacing dialog_spacing"

INFO_KEYS = _words(
    "LrSdkVersion LrSdkMinimumVersion LrToolkitIdentifier LrPluginName LrPluginInfoUrl LrPluginInfoProvider "
    "LrInitPlugin LrForceInitPlugin LrExportMenuItems LrLibraryMenuItems LrHelpMenuItems "
    "LrExportServiceProvider LrExportFilterProvider LrMetadataProvider LrMetadataTagsetFactory "
    "LrLimitNumberOfTempRenditions VERSION"
)

GLOBALS = (
    "assert error getmetatable ipairs next pairs pcall rawequal rawget rawset select setmetatable "
    "tonumber tostring type unpack"
)
"""Of Lua's own; string, math and table come whole, io and os as the host trims them."""
