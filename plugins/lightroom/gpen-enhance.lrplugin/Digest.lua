--- SHA-256 (FIPS 180-4) and HMAC (RFC 2104), for the bridge's proof. Pure; never yields.
-- The host's LrDigest is not used: what its HMAC returns is documented nowhere, and a wrong guess would
-- lock everybody out. Lua 5.1 has no bit operations: `and` goes by a table, eight bits at a time, and the
-- rest follows from it.

local Digest = {}

local WORD = 2 ^ 32
local BLOCK = 64

-- The first 32 bits of the fractional parts of the cube roots of the first 64 primes, and of the square
-- roots of the first 8: computed, the doubles' 53 bits are enough for both.
local ROUND, START = {}, {}

local function fraction(number)
    return math.floor((number - math.floor(number)) * WORD)
end

do
    local candidate = 2
    while #ROUND < 64 do
        local isPrime = true
        for divisor = 2, math.floor(math.sqrt(candidate)) do
            if candidate % divisor == 0 then isPrime = false end
        end
        if isPrime then
            table.insert(ROUND, fraction(candidate ^ (1 / 3)))
            if #START < 8 then table.insert(START, fraction(math.sqrt(candidate))) end
        end
        candidate = candidate + 1
    end
end

-- AND[256 * a + b], for a and b of eight bits.
local AND = { [0] = 0 }
for bit = 0, 7 do
    local side = 2 ^ bit
    for a = 0, side - 1 do
        for b = 0, side - 1 do
            local both = AND[256 * a + b]
            AND[256 * (a + side) + b], AND[256 * a + b + side] = both, both
            AND[256 * (a + side) + b + side] = both + side
        end
    end
end

local function band(a, b)
    local a1, b1 = a % 256, b % 256
    a, b = (a - a1) / 256, (b - b1) / 256
    local a2, b2 = a % 256, b % 256
    a, b = (a - a2) / 256, (b - b2) / 256
    local a3, b3 = a % 256, b % 256
    return AND[256 * a1 + b1] + 256 * AND[256 * a2 + b2] + 65536 * AND[256 * a3 + b3]
        + 16777216 * AND[a - a3 + (b - b3) / 256]
end

local function xor(a, b)
    return a + b - 2 * band(a, b)
end

local function rotated(word, by)
    local low = word % 2 ^ by
    return (word - low) / 2 ^ by + low * 2 ^ (32 - by)
end

local function shifted(word, by)
    return math.floor(word / 2 ^ by)
end

local function digestBlock(state, block)
    local w = {}
    for index = 1, 16 do
        local a, b, c, d = block:byte(4 * index - 3, 4 * index)
        w[index] = ((a * 256 + b) * 256 + c) * 256 + d
    end
    for index = 17, 64 do
        local early, late = w[index - 15], w[index - 2]
        local s0 = xor(xor(rotated(early, 7), rotated(early, 18)), shifted(early, 3))
        local s1 = xor(xor(rotated(late, 17), rotated(late, 19)), shifted(late, 10))
        w[index] = (w[index - 16] + s0 + w[index - 7] + s1) % WORD
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for index = 1, 64 do
        local s1 = xor(xor(rotated(e, 6), rotated(e, 11)), rotated(e, 25))
        local chosen = band(e, f) + band(WORD - 1 - e, g)
        local first = (h + s1 + chosen + ROUND[index] + w[index]) % WORD
        local s0 = xor(xor(rotated(a, 2), rotated(a, 13)), rotated(a, 22))
        local both = band(a, b)
        local majority = both + band(c, a + b - 2 * both)
        h, g, f, e, d, c, b, a = g, f, e, (d + first) % WORD, c, b, a, (first + s0 + majority) % WORD
    end
    for index, word in ipairs { a, b, c, d, e, f, g, h } do
        state[index] = (state[index] + word) % WORD
    end
end

local function bytesOf(word)
    local bytes = {}
    for index = 4, 1, -1 do
        bytes[index] = string.char(word % 256)
        word = math.floor(word / 256)
    end
    return table.concat(bytes)
end

-- 32 bytes.
local function sha256(text)
    local zeros = (BLOCK - 9 - #text) % BLOCK
    local padded = text .. "\128" .. ("\0"):rep(zeros + 4) .. bytesOf(#text * 8)
    local state = { unpack(START) }
    for from = 1, #padded, BLOCK do digestBlock(state, padded:sub(from, from + BLOCK - 1)) end
    local words = {}
    for index, word in ipairs(state) do words[index] = bytesOf(word) end
    return table.concat(words)
end

local function hex(bytes)
    return (bytes:gsub(".", function(character) return string.format("%02x", character:byte()) end))
end

--- SHA-256 of a string of less than 512 MB, in hexadecimal digits.
function Digest.sha256(text) return hex(sha256(text)) end

--- HMAC-SHA256 in hexadecimal digits.
function Digest.hmac(key, text)
    if #key > BLOCK then key = sha256(key) end
    key = key .. ("\0"):rep(BLOCK - #key)
    local function padded(with)
        return (key:gsub(".", function(character) return string.char(xor(character:byte(), with)) end))
    end
    return hex(sha256(padded(0x5c) .. sha256(padded(0x36) .. text)))
end

return Digest
