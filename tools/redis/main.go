// Command redis is a Redis in memory: as much of one as Argo CD's cache needs, with nothing to install.
package main

import (
	"log"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: redis HOST:PORT")
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	// Its clock stands still unless it is moved, and then no key would ever expire.
	for range time.Tick(time.Second) {
		server.FastForward(time.Second)
	}
}
