"""`taskq audit`: is every job in exactly one place?

survey       walks over everything, in pages, while it moves      -> piles of ids, and where each was seen
suspects     what does not add up in the piles                    -> ids that need a closer look
closely      what there is of a suspect at one instant            -> a sight
findings     what contradicts the promise in a sight, in words
fabric       what is wrong with what jobs stand on: holdings, doorbells, names
jury         from a survey to findings that are certain, and their repair
view         what is printed
command      the command
"""
