// SPDX-License-Identifier: BSD-3-Clause

//go:build ignore

// Command hello is hello.c in Go, for its time from exec to exit.
package main

import "os"

func main() { os.Stdout.WriteString("hi\n") }
