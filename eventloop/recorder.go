package eventloop

// Recorder takes down the response to one request, so that the loop can give it the
// next time. The zero value takes down nothing. It belongs to the goroutine that
// serves the connection.
type Recorder struct {
	answers *Answers
	key     string
	wire    []byte
	source  Source
}

// Wants reports whether the response now being made is one to take down.
func (r *Recorder) Wants() bool { return r.key != "" }

// Came tells what the response depends on, and how many bytes its body has at least.
// Without it nothing is kept.
func (r *Recorder) Came(from Source, body int) {
	if r.source = from; body > MaxAnswer {
		r.Drop()
	}
}

// Takes reports whether the response is being taken down: it is wanted, and what it
// depends on is known.
func (r *Recorder) Takes() bool { return r.key != "" && r.source != nil }

// Write takes down bytes as they are sent to the client.
func (r *Recorder) Write(p []byte) {
	if r.key == "" {
		return
	}
	if len(r.wire)+len(p) > MaxAnswer {
		r.Drop()
		return
	}
	r.wire = append(r.wire, p...)
}

// Drop ends the taking down: part of the response goes another way.
func (r *Recorder) Drop() { r.key, r.wire, r.source = "", nil, nil }

// Keep ends the taking down at the end of the response, and reports whether the
// next such request will be answered by the loop.
func (r *Recorder) Keep() bool {
	kept := r.key != "" && r.source != nil && r.answers.put(r.key, r.wire, r.source)
	r.Drop()
	return kept
}
