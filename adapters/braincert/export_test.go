package braincert

// Places are where values are read.
var Places = places
