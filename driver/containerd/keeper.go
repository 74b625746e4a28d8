package containerd

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// keep starts the private containerd again when it has died. Containers do
// not notice: their shims live on, and a new containerd finds them.
func (d *Driver) keep() {
	conn, ok := d.cl.Conn().(*grpc.ClientConn)
	if !ok {
		return
	}
	for delay := 100 * time.Millisecond; ; {
		state := conn.GetState()
		if state == connectivity.Ready {
			delay = 100 * time.Millisecond
		} else if d.ctx.Err() == nil && !socketAnswers(d.paths.socket()) {
			d.log.Warn("the private containerd has ended, starting it again")
			if err := startPrivate(d.ctx, d.paths); err != nil {
				d.log.Error("the private containerd does not start", "err", err)
				select {
				case <-time.After(delay):
					delay = min(2*delay, 30*time.Second)
					continue
				case <-d.ctx.Done():
					return
				}
			}
			conn.ResetConnectBackoff()
		}
		conn.Connect()
		if !conn.WaitForStateChange(d.ctx, state) {
			return
		}
	}
}
