// A Redis in memory, for the Argo CD of `make cluster`.
module fileprocessing.internal/tools/redis

go 1.26.0

tool fileprocessing.internal/tools/redis

require github.com/alicebob/miniredis/v2 v2.40.0

require github.com/yuin/gopher-lua v1.1.1 // indirect
