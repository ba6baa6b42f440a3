// The process that holds a pod's namespaces; built by tools/build.
module fileprocessing.internal/tools/pause

go 1.25.0

tool fileprocessing.internal/tools/pause
