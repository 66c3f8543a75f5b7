package checkpointer

// Step has f called between the steps of signing and publishing. An error is a
// crash there.
func (c *Checkpointer) Step(f func(string) error) { c.step = f }

// LookEvery is how often a log that does not grow is looked at.
const LookEvery = lookEvery
