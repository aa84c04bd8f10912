//go:build !linux

package main

import "net"

// outputQueue returns 0: progress shows in what the kernel takes alone.
func outputQueue(net.Conn) int { return 0 }

// readNow finds nothing: an unread body ends the connection.
func readNow(net.Conn, []byte) (int, error) { return 0, errWouldBlock }

// socket is nothing here.
type socket struct{}

func (c *connection) readSocket(p []byte) (int, error)  { return c.Conn.Read(p) }
func (c *connection) writeSocket(p []byte) (int, error) { return c.Conn.Write(p) }
