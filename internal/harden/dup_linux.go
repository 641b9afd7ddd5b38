package harden

import "golang.org/x/sys/unix"

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

func replace(with, fd int) error { return unix.Dup3(with, fd, 0) }
