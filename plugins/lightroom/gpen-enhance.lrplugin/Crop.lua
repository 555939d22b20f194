--- Raw 8-bit RGB pixels: cut a rectangle out, and write it as a TIFF file that the bridge reads.
-- Baseline TIFF 6.0, one strip, little-endian. Pure; never yields.

local Crop = {}

local CHANNELS = 3

local function u16(number)
    return string.char(number % 256, math.floor(number / 256) % 256)
end

local function u32(number)
    return u16(number % 65536) .. u16(math.floor(number / 65536))
end

--- The square around a face with room around it, inside the picture.
-- @param box x0, y0, x1, y1 in pixels.
-- @param least the smallest side that is useful, in pixels.
-- @return left, top, width, height: whole pixels.
function Crop.around(box, width, height, least)
    local side = math.max(box[3] - box[1], box[4] - box[2]) * 1.8
    side = math.floor(math.min(math.max(side, least), width, height))
    local function from(centre, limit)
        return math.max(0, math.min(math.floor(centre - side / 2), limit - side))
    end
    return from((box[1] + box[3]) / 2, width), from((box[2] + box[4]) / 2, height), side, side
end

--- A rectangle of row-major RGB pixels.
-- @param pixels string of `width` * 3 bytes a row.
function Crop.cut(pixels, width, left, top, cutWidth, cutHeight)
    local rows = {}
    for row = 0, cutHeight - 1 do
        local start = ((top + row) * width + left) * CHANNELS
        rows[row + 1] = pixels:sub(start + 1, start + cutWidth * CHANNELS)
    end
    return table.concat(rows)
end

--- RGB pixels as the bytes of a TIFF file, sRGB by default of its readers.
function Crop.tiff(pixels, width, height)
    local SHORT, LONG = 3, 4
    local depthsAt = 8 + #pixels + #pixels % 2
    local entries = {
        { 256, LONG, 1, width }, { 257, LONG, 1, height },
        { 258, SHORT, CHANNELS, depthsAt },            -- bits a sample: does not fit into the entry
        { 259, SHORT, 1, 1 }, { 262, SHORT, 1, 2 },    -- no compression; RGB
        { 273, LONG, 1, 8 }, { 277, SHORT, 1, CHANNELS },
        { 278, LONG, 1, height }, { 279, LONG, 1, #pixels },
    }
    local directory = { u16(#entries) }
    for _, entry in ipairs(entries) do
        directory[#directory + 1] = u16(entry[1]) .. u16(entry[2]) .. u32(entry[3]) .. u32(entry[4])
    end
    directory[#directory + 1] = u32(0)
    return table.concat {
        "II", u16(42), u32(depthsAt + 6), pixels, ("\0"):rep(#pixels % 2),
        u16(8), u16(8), u16(8), table.concat(directory),
    }
end

--- A face moved from the picture into a crop of it.
function Crop.moved(face, left, top)
    local landmarks = {}
    for index, point in ipairs(face.landmarks) do landmarks[index] = { point[1] - left, point[2] - top } end
    local box = face.box
    return {
        box = { box[1] - left, box[2] - top, box[3] - left, box[4] - top },
        landmarks = landmarks,
        score = face.score,
    }
end

return Crop
