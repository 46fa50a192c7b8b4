PART = "a part"
