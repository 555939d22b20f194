--- The custom fields of a result: what it came from and how it was made. They live in the catalog only.

local function text(id, title, more)
    local field = { id = id, dataType = "string", title = title, readOnly = true, searchable = true }
    for key, value in pairs(more or {}) do field[key] = value end
    return field
end

return {
    schemaVersion = 1,
    metadataFieldsForPhotos = {
        text("sourceUuid", LOC "$$$/GPEN/Field/SourceUuid=GPEN original"),
        text("jobId", LOC "$$$/GPEN/Field/JobId=GPEN job"),
        text("preset", LOC "$$$/GPEN/Field/Preset=GPEN preset", { browsable = true }),
        text("parameters", LOC "$$$/GPEN/Field/Parameters=GPEN parameters"),
        text("checkpoint", LOC "$$$/GPEN/Field/Checkpoint=GPEN checkpoint", { browsable = true }),
        text("bridgeVersion", LOC "$$$/GPEN/Field/BridgeVersion=GPEN bridge version"),
        text("sourceEdits", LOC "$$$/GPEN/Field/SourceEdits=GPEN edits of the original"),
        {
            id = "verdict",
            title = LOC "$$$/GPEN/Field/Verdict=GPEN verdict",
            dataType = "enum",
            searchable = true,
            browsable = true,
            values = {
                { value = "open", title = LOC "$$$/GPEN/Verdict/Open=Open" },
                { value = "accepted", title = LOC "$$$/GPEN/Verdict/Accepted=Accepted" },
                { value = "rejected", title = LOC "$$$/GPEN/Verdict/Rejected=Rejected" },
            },
        },
    },
}
