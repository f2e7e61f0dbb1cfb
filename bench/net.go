// SPDX-License-Identifier: BSD-3-Clause

// Command net is the peer of examples/echo.c and examples/httpd.c in Go.
//
//	net echo    echoes what comes on each connection
//	net http    answers every request with "hello, world\n"
//
// Each listens on a free port of 127.0.0.1, which it prints on a line of its own.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "net:", err)
	os.Exit(1)
}

func serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			fatal(err)
		}
		go serve(c)
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "hello, world\n")
}

func main() {
	if len(os.Args) != 2 || os.Args[1] != "echo" && os.Args[1] != "http" {
		fmt.Fprintln(os.Stderr, "usage: net echo|http")
		os.Exit(2)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	if os.Args[1] == "echo" {
		echo(l)
	}
	fatal(http.Serve(l, http.HandlerFunc(hello)))
}
