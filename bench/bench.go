// SPDX-License-Identifier: BSD-3-Clause

// Command bench is bench.c's twin in Go: the same work, the same checks, the same names.
//
//	bench NAME    runs one benchmark once and prints lines of "NAME VALUE UNIT"
//
// The processors come from GOMAXPROCS in the environment. What a change here does, do in bench.c.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	nspawn       = 1000000
	nspawnjoin   = 1000000
	nyield       = 5000000 // by each of two goroutines
	npingpong    = 2000000
	nbufchan     = 20000000
	bufchanCap   = 128
	nselect4     = 4000000 // items of all four producers
	npool        = 1000000 // by each of poolGs goroutines
	poolGs       = 8
	nmutex       = 1000000 // by each of mutexGs goroutines
	mutexGs      = 8
	ndefer       = 100000000
	npanic       = 2000000
	nfault       = 200000
	skynetLeaves = 1000000
	skynetFanout = 10
	sievePrimes  = 2000
	sieveLast    = 17389 // the 2000th prime
	nparked      = 1000000
	idleParked   = 100
	idleSeconds  = 5
	nsleeps      = 200
	ntimers      = 1000000
	timersUs     = 1000000 // the longest sleep, in us
	timersRuns   = 5
	nwake        = 2000
	filesize     = 64 << 20
	filereads    = 32768
	fileblock    = 4096

	ntraceback     = 200000
	tracebackDepth = 50
)

// ---- output and /proc ----

func out(name string, v float64, unit string) {
	fmt.Printf("%s_p%d %.2f %s\n", name, runtime.GOMAXPROCS(0), v, unit)
}

func per(name string, d time.Duration, n float64) {
	out(name, float64(d.Nanoseconds())/n, "ns")
}

func fatal(text string) {
	fmt.Fprintln(os.Stderr, "fatal error:", text)
	os.Exit(2)
}

// procField is the number behind key in a file of /proc, 0 if there is none.
func procField(path, key string) int64 {
	b, _ := os.ReadFile(path)
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return 0
	}
	f := strings.Fields(string(b[i+len(key):]))
	v, _ := strconv.ParseInt(f[0], 10, 64)
	return v
}

func rss() float64 { return float64(procField("/proc/self/smaps_rollup", "Rss:")) * 1024 }
func pte() float64 { return float64(procField("/proc/self/status", "VmPTE:")) * 1024 }

// block sleeps in the kernel, with the thread: what a blocking system call does.
func block(d time.Duration) {
	ts := syscall.NsecToTimespec(d.Nanoseconds())
	syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// ---- goroutines ----

func spawnOnce(n int) time.Duration {
	var wg sync.WaitGroup
	t := time.Now()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go wg.Done()
	}
	wg.Wait()
	return time.Since(t)
}

func spawn() {
	per("spawn", spawnOnce(nspawn), nspawn)
	spawnOnce(nspawn)
	per("spawn_warm", spawnOnce(nspawn), nspawn)
}

func spawnWindowOf(name string, window int) {
	t := time.Now()
	for i := 0; i < nspawn; i += window {
		spawnOnce(window)
	}
	per(name, time.Since(t), nspawn)
}

func spawnWindow() {
	spawnWindowOf("spawn_window1000", 1000)
	spawnWindowOf("spawn_window100", 100)
}

func send0(c chan struct{}) { c <- struct{}{} }

func spawnjoin() {
	c := make(chan struct{})
	t := time.Now()
	for i := 0; i < nspawnjoin; i++ {
		go send0(c)
		<-c
	}
	per("spawnjoin", time.Since(t), nspawnjoin)
}

func yield() {
	var wg sync.WaitGroup
	t := time.Now()
	wg.Add(2)
	for g := 0; g < 2; g++ {
		go func() {
			for i := 0; i < nyield; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	per("yield", time.Since(t), 2*nyield)
}

// ---- channels ----

func pingpong() {
	a, b := make(chan int), make(chan int)
	go func() {
		for v := range a {
			b <- v
		}
	}()
	t := time.Now()
	for i := 0; i < npingpong; i++ {
		a <- i
		if <-b != i {
			fatal("pingpong: wrong value")
		}
	}
	per("pingpong", time.Since(t), npingpong)
}

func bufchan() {
	c := make(chan int, bufchanCap)
	t := time.Now()
	go func() {
		for i := 0; i < nbufchan; i++ {
			c <- i
		}
		close(c)
	}()
	sum := 0
	for v := range c {
		sum += v
	}
	d := time.Since(t)
	if sum != nbufchan*(nbufchan-1)/2 {
		fatal("bufchan: wrong sum")
	}
	per("bufchan", d, nbufchan)
}

func producer4(c chan int) {
	for i := 0; i < nselect4/4; i++ {
		c <- i
	}
}

func select4() {
	a, b, c, d := make(chan int), make(chan int), make(chan int), make(chan int)
	t := time.Now()
	go producer4(a)
	go producer4(b)
	go producer4(c)
	go producer4(d)
	sum := 0
	for i := 0; i < nselect4; i++ {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += 2 * v
		case v := <-c:
			sum += 3 * v
		case v := <-d:
			sum += 4 * v
		}
	}
	t2 := time.Since(t)
	if sum != 10*(nselect4/4*(nselect4/4-1)/2) {
		fatal("select4: wrong sum")
	}
	per("select4", t2, nselect4)
}

func mutex() {
	var mu sync.Mutex
	var wg sync.WaitGroup
	x := 0
	t := time.Now()
	wg.Add(mutexGs)
	for i := 0; i < mutexGs; i++ {
		go func() {
			for j := 0; j < nmutex; j++ {
				mu.Lock()
				x++
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	d := time.Since(t)
	if x != mutexGs*nmutex {
		fatal("mutex: wrong count")
	}
	per("mutex", d, mutexGs*nmutex)
}

var bufs = sync.Pool{New: func() any { return new([8]int) }}

func pool() {
	var wg sync.WaitGroup
	t := time.Now()
	wg.Add(poolGs)
	for i := 0; i < poolGs; i++ {
		go func() {
			for j := 0; j < npool; j++ {
				buf := bufs.Get().(*[8]int)
				buf[0]++
				bufs.Put(buf)
			}
			wg.Done()
		}()
	}
	wg.Wait()
	per("pool", time.Since(t), poolGs*npool)
}

func sky(out chan int, num, size int) {
	if size == 1 {
		out <- num
		return
	}
	c := make(chan int)
	for i := 0; i < skynetFanout; i++ {
		kid := size / skynetFanout
		go sky(c, num+i*kid, kid)
	}
	sum := 0
	for i := 0; i < skynetFanout; i++ {
		sum += <-c
	}
	out <- sum
}

func skynet() {
	c := make(chan int)
	t := time.Now()
	go sky(c, 0, skynetLeaves)
	sum := <-c
	d := time.Since(t)
	if sum != skynetLeaves*(skynetLeaves-1)/2 {
		fatal("skynet: wrong sum")
	}
	out("skynet", d.Seconds()*1e3, "ms")
}

func generate(c chan int) {
	for i := 2; ; i++ {
		c <- i
	}
}

func filter(in, out chan int, prime int) {
	for {
		if v := <-in; v%prime != 0 {
			out <- v
		}
	}
}

func sieve() {
	c := make(chan int)
	t := time.Now()
	prime := 0
	go generate(c)
	for i := 0; i < sievePrimes; i++ {
		prime = <-c
		next := make(chan int)
		go filter(c, next, prime)
		c = next
	}
	d := time.Since(t)
	if prime != sieveLast {
		fatal("sieve: wrong prime")
	}
	out("sieve", d.Seconds()*1e3, "ms")
}

// ---- defer and panic ----

func add1(n *int) { *n++ }

//go:noinline
func deferone(n *int) {
	defer add1(n)
}

func defers() {
	n := 0
	t := time.Now()
	for i := 0; i < ndefer; i++ {
		deferone(&n)
	}
	d := time.Since(t)
	if n != ndefer {
		fatal("defer: wrong count")
	}
	per("defer", d, ndefer)
}

func recoverone(n *int) {
	if v, ok := recover().(int); ok {
		*n += v
	}
}

//go:noinline
func panicone(n *int) {
	defer recoverone(n)
	panic(1)
}

//go:noinline
func faultone(n, p *int) {
	defer recoverone(n)
	*p = 1
}

func panicrecover() {
	n := 0
	t := time.Now()
	for i := 0; i < npanic; i++ {
		panicone(&n)
	}
	d := time.Since(t)
	if n != npanic {
		fatal("panicrecover: wrong count")
	}
	per("panicrecover", d, npanic)
	t = time.Now()
	for i := 0; i < nfault; i++ {
		faultone(&n, nil)
	}
	per("faultrecover", time.Since(t), nfault)
}

// ---- many goroutines, and none that runs ----

type crowd struct {
	c         chan struct{}
	wg        sync.WaitGroup
	up, woken int64
}

func (w *crowd) park() {
	atomic.AddInt64(&w.up, 1)
	<-w.c
	atomic.AddInt64(&w.woken, 1)
	w.wg.Done()
}

// start parks n goroutines; the last ones get 50 ms to reach the channel.
func (w *crowd) start(n int) time.Duration {
	t := time.Now()
	w.wg.Add(n)
	for i := 0; i < n; i++ {
		go w.park()
	}
	for atomic.LoadInt64(&w.up) < int64(n) {
		runtime.Gosched()
	}
	d := time.Since(t)
	block(50 * time.Millisecond)
	return d
}

func parked() {
	w := &crowd{c: make(chan struct{})}
	r0, p0 := rss(), pte()
	d := w.start(nparked)
	r, p := rss()-r0, pte()-p0
	out("parked_mem", r/nparked, "B")
	out("parked_mem_pte", (r+p)/nparked, "B")
	per("parked_create", d, nparked)
	t := time.Now()
	close(w.c)
	w.wg.Wait()
	d = time.Since(t)
	if w.woken != nparked {
		fatal("parked: not all woke up")
	}
	per("parked_wake", d, nparked)
}

// switches sums the voluntary context switches of all threads: each is one wake-up.
func switches() (sum int64, threads int) {
	d, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fatal("idle: no /proc")
	}
	for _, e := range d {
		sum += procField("/proc/self/task/"+e.Name()+"/status", "\nvoluntary_ctxt_switches:")
	}
	return sum, len(d)
}

func cpums() float64 {
	var ts syscall.Timespec
	const clockProcessCPUTime = 2
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPUTime,
		uintptr(unsafe.Pointer(&ts)), 0)
	return float64(ts.Nano()) / 1e6
}

func idle() {
	w := &crowd{c: make(chan struct{})}
	w.start(idleParked)
	block(time.Second)
	n0, _ := switches()
	cpu := cpums()
	block(idleSeconds * time.Second)
	cpu = cpums() - cpu
	n, threads := switches()
	out("idle_wakeups", float64(n-n0), "in_5s")
	out("idle_cpu", cpu, "ms_in_5s")
	out("idle_threads", float64(threads), "threads")
	close(w.c)
	w.wg.Wait()
}

var tracebackDeeper func(int) int

//go:noinline
func tracebackFrame(n int) int {
	var pcs [tracebackDepth]uintptr
	if n < tracebackDepth {
		return tracebackDeeper(n+1) + 1
	}
	t := time.Now()
	for i := 0; i < ntraceback; i++ {
		if runtime.Callers(1, pcs[:]) != tracebackDepth {
			fatal("traceback: frames are missing")
		}
	}
	per("traceback", time.Since(t), ntraceback*tracebackDepth)
	return 0
}

func traceback() {
	tracebackDeeper = tracebackFrame
	tracebackFrame(0)
}

// ---- preemption ----

// preempt: how late does a sleep of 1 ms end beside a goroutine that only spins?
func preempt() {
	var stop int32
	late := make([]float64, nsleeps)
	go func() {
		for atomic.LoadInt32(&stop) == 0 {
		}
	}()
	for i := range late {
		t := time.Now()
		time.Sleep(time.Millisecond)
		late[i] = float64((time.Since(t) - time.Millisecond).Nanoseconds()) / 1e3
	}
	atomic.StoreInt32(&stop, 1)
	sort.Float64s(late)
	out("preempt", (late[nsleeps/2-1]+late[nsleeps/2])/2, "us")
	out("preempt_max", late[nsleeps-1], "us")
}

// ---- waiting ----

// percentile of values in ns, in us; it sorts them.
func percentile(v []int64, p int) float64 {
	sort.Slice(v, func(i, j int) bool { return v[i] < v[j] })
	return float64(v[len(v)*p/100]) / 1e3
}

func timersOnce(ns, late []int64) (wall, cpu, p99 float64) {
	var wg sync.WaitGroup
	x := uint64(88172645463325252)
	for i := range ns { // not timed
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		ns[i] = int64(x%timersUs) * 1000
	}
	cpu = cpums()
	t := time.Now()
	wg.Add(ntimers)
	for i := range ns {
		go func(p *int64) {
			t := time.Now()
			time.Sleep(time.Duration(*p))
			*p = int64(time.Since(t)) - *p
			wg.Done()
		}(&ns[i])
	}
	wg.Wait()
	wall = time.Since(t).Seconds() * 1e3
	cpu = cpums() - cpu
	copy(late, ns)
	p99 = percentile(late, 99)
	if late[0] < 0 {
		fatal("timers: a sleeper woke early")
	}
	return wall, cpu, p99
}

// The first run finds a process without stacks and timers; the others use again what it left.
func timers() {
	ns, late := make([]int64, ntimers), make([]int64, ntimers)
	var v [3][]float64
	for i := 0; i < timersRuns; i++ {
		wall, cpu, p99 := timersOnce(ns, late)
		v[0], v[1], v[2] = append(v[0], wall), append(v[1], cpu), append(v[2], p99)
	}
	name, unit := []string{"wall", "cpu", "late_p99"}, []string{"ms", "ms", "us"}
	for k := range v {
		out("timers_"+name[k], v[k][0], unit[k])
	}
	for k := range v {
		warm := v[k][1:]
		sort.Float64s(warm)
		out("timers_warm_"+name[k], (warm[1]+warm[2])/2, unit[k])
	}
}

func wakeReport(name string, late []int64) {
	p50, p99 := percentile(late, 50), percentile(late, 99)
	if late[0] < 0 {
		fatal("wake: before its time")
	}
	out("wake_"+name+"_p50", p50, "us")
	out("wake_"+name+"_p99", p99, "us")
}

// sockPair is a TCP connection on loopback.
func sockPair() (a, b net.Conn) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		a, err = net.Dial("tcp4", l.Addr().String())
	}
	if err == nil {
		b, err = l.Accept()
	}
	if err != nil {
		fatal("wake: " + err.Error())
	}
	l.Close()
	return a, b
}

func wake() {
	start := time.Now()
	now := func() int64 { return int64(time.Since(start)) }
	late := make([]int64, nwake)
	c := make(chan int64)
	go func() {
		for i := 0; i < nwake; i++ {
			time.Sleep(time.Millisecond)
			c <- now()
		}
	}()
	for i := range late {
		t := <-c
		late[i] = now() - t
	}
	wakeReport("chan", late)

	for i := range late {
		t := now() + int64(time.Millisecond)
		time.Sleep(time.Millisecond)
		late[i] = now() - t
	}
	wakeReport("sleep", late)

	a, b := sockPair()
	go func() {
		var buf [8]byte
		for i := 0; i < nwake; i++ {
			time.Sleep(time.Millisecond)
			binary.LittleEndian.PutUint64(buf[:], uint64(now()))
			if n, _ := a.Write(buf[:]); n != len(buf) {
				fatal("wake: write failed")
			}
		}
	}()
	var buf [8]byte
	for i := range late {
		if n, _ := b.Read(buf[:]); n != len(buf) {
			fatal("wake: read failed")
		}
		late[i] = now() - int64(binary.LittleEndian.Uint64(buf[:]))
	}
	wakeReport("sock", late)
}

func fileread() {
	f, err := os.CreateTemp("/var/tmp", "rt0-bench-")
	if err != nil {
		fatal("fileread: " + err.Error())
	}
	buf := bytes.Repeat([]byte{1}, 1<<20)
	for i := 0; i < filesize>>20; i++ {
		if _, err := f.Write(buf); err != nil {
			fatal("fileread: no room in /var/tmp")
		}
	}
	f.Sync()
	disk, err := os.OpenFile(f.Name(), os.O_RDONLY|syscall.O_DIRECT, 0)
	os.Remove(f.Name())
	f.Close()
	if err != nil {
		fatal("fileread: the file system of /var/tmp has no O_DIRECT")
	}
	for _, n := range []int{1, 64} {
		reads := filereads
		if n == 1 {
			reads /= 8
		}
		var wg sync.WaitGroup
		cpu := cpums()
		t := time.Now()
		wg.Add(n)
		for i := 0; i < n; i++ {
			go func(x uint64) {
				two := make([]byte, 2*fileblock)
				skip := (fileblock - int(uintptr(unsafe.Pointer(&two[0]))%fileblock)) % fileblock
				block := two[skip : skip+fileblock]
				for i := 0; i < reads/n; i++ {
					x = x*6364136223846793005 + 1442695040888963407
					if k, _ := disk.ReadAt(block, int64(x>>33%(filesize/fileblock))*fileblock); k != fileblock {
						fatal("fileread: a read failed")
					}
				}
				wg.Done()
			}(uint64(i) + 1)
		}
		wg.Wait()
		d := time.Since(t)
		out(fmt.Sprintf("fileread_%d", n), float64(reads)/d.Seconds(), "reads/s")
		out(fmt.Sprintf("fileread_%d_cpu", n), (cpums()-cpu)*1e3/float64(reads), "us")
	}
	disk.Close()
}

func main() {
	benches := map[string]func(){
		"spawn": spawn, "spawn_window": spawnWindow, "spawnjoin": spawnjoin, "yield": yield,
		"pingpong": pingpong, "bufchan": bufchan, "select4": select4, "mutex": mutex, "pool": pool, "defer": defers, "panicrecover": panicrecover,
		"skynet": skynet, "sieve": sieve, "parked": parked, "idle": idle, "traceback": traceback,
		"preempt": preempt, "timers": timers, "wake": wake, "fileread": fileread,
	}
	if len(os.Args) == 2 && benches[os.Args[1]] != nil {
		benches[os.Args[1]]()
		return
	}
	names := make([]string, 0, len(benches))
	for n := range benches {
		names = append(names, n)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "usage: bench NAME, one of:", strings.Join(names, " "))
	os.Exit(2)
}
