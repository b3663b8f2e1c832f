-- whole: the whole number in a field; 0 where there is none, or something else (whoever wrote it).
local function whole(text)
  return text and #text < 16 and tonumber(string.match(text, '^%d+$')) or 0
end
