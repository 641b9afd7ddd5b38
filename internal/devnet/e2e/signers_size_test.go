//go:build chains

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
)

// most is how much memory a signer may take for all that the tests send it.
const most = 128 << 20

// connect connects to a signer, for messages of any size.
func (w *world) connect(signer canon.Name, cert tls.Certificate) *grpc.ClientConn {
	w.Helper()
	member, _ := w.chain.Current().Signer(signer)
	conn := must(rpc.Dial(w.d.Node(string(signer)).Address, rpc.ClientTLS(cert, member.Identity), 1<<30))(w.T)
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// oversized: 64 MiB to every method that a signer serves, by everybody who may call it.
func (w *world) oversized() {
	nothing := w.unsigned(w.names...)
	victim := w.names[0]
	device := must(coordinator.LoadKey(filepath.Join(w.d.Officers[0].Dir, "tls.key")))(w.T)
	callers := map[string]*grpc.ClientConn{
		"coordinator": w.connect(victim, must(rpc.Certificate(must(coordinator.LoadKey(w.d.CoordinatorKey()))(w.T)))(w.T)),
		"officer":     w.connect(victim, must(rpc.Certificate(device))(w.T)),
		"signer":      w.asSigner(w.names[3], victim),
	}
	w.bounded(victim, func() {
		for _, method := range signerMethods(w.T) {
			reached := 0
			for _, caller := range slices.Sorted(maps.Keys(callers)) {
				_, small := w.invoke(callers[caller], method, 0)
				if status.Code(small) == codes.PermissionDenied {
					continue
				}
				reached++
				for range 2 {
					if _, err := w.invoke(callers[caller], method, 64<<20); status.Code(err) != codes.ResourceExhausted {
						w.Errorf("%s by %s: expected %s, found %v", method.FullName(), caller, codes.ResourceExhausted, err)
					}
				}
			}
			if reached == 0 {
				w.Errorf("%s: expected somebody who may call it, found nobody", method.FullName())
			}
		}
	})
	nothing()
	w.pays(must(w.paper(small))(w.T))
}

// signerMethods lists the methods of all services of a signer.
func signerMethods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	for _, service := range []protoreflect.FullName{"SignerService", "OfficerService", "PeerService", "CharterService", "BookService"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName("strongroom.v1." + service)
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			all = append(all, methods.Get(i))
		}
	}
	return all
}

// invoke calls a method with a request that is empty but for an unknown field of that size.
func (w *world) invoke(conn *grpc.ClientConn, method protoreflect.MethodDescriptor, size int) (proto.Message, error) {
	w.Helper()
	request, answer := message(w.T, method.Input()), message(w.T, method.Output())
	if size > 0 {
		request.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 1000, protowire.BytesType), make([]byte, size)))
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	name := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	if !method.IsStreamingClient() {
		return answer, conn.Invoke(ctx, name, request, answer)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, name)
	if err != nil {
		return nil, err
	}
	// What SendMsg says about a call that the other side ended, RecvMsg says better.
	_ = stream.SendMsg(request)
	_ = stream.CloseSend()
	return answer, stream.RecvMsg(answer)
}

func message(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return typ.New().Interface()
}

// bounded asks that the signer's memory does not grow by more than most while work goes on, at its highest.
func (w *world) bounded(signer canon.Name, work func()) {
	w.Helper()
	pid := w.pid(signer)
	// 5 resets the peak that the kernel notes (proc(5), clear_refs).
	if err := os.WriteFile(filepath.Join("/proc", pid, "clear_refs"), []byte("5"), 0); err != nil {
		w.Fatal(err)
	}
	before := w.memory(pid, "VmRSS")
	work()
	if again := w.pid(signer); again != pid {
		w.Fatalf("%s: expected process %s to live on, found %s", signer, pid, again)
	}
	peak := w.memory(pid, "VmHWM")
	w.Logf("%s: %d MiB before, at most %d MiB", signer, before>>20, peak>>20)
	if peak-before > most {
		w.Errorf("%s: expected at most %d MiB more, found %d", signer, most>>20, (peak-before)>>20)
	}
}

// pid finds the signer's process by its arguments.
func (w *world) pid(signer canon.Name) string {
	w.Helper()
	mark := []byte(filepath.Join(w.d.Node(string(signer)).Dir, "node.toml"))
	for _, path := range must(filepath.Glob("/proc/[0-9]*/cmdline"))(w.T) {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, mark) {
			return filepath.Base(filepath.Dir(path))
		}
	}
	w.Fatalf("%s: expected a process, found none", signer)
	return ""
}

// memory reads one of the sizes in a process's status, in bytes.
func (w *world) memory(pid, field string) int64 {
	w.Helper()
	for line := range strings.Lines(string(must(os.ReadFile(filepath.Join("/proc", pid, "status")))(w.T))) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return must(strconv.ParseInt(strings.Fields(rest)[0], 10, 64))(w.T) << 10
		}
	}
	w.Fatalf("process %s: expected %s, found none", pid, field)
	return 0
}
