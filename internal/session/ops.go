package session

import "spillway/internal/wire"

// opKind is what a server still has to answer.
type opKind uint8

const (
	opQuery    opKind = iota + 1 // Query or FunctionCall; ends with ReadyForQuery
	opSync                       // ends with ReadyForQuery
	opParse                      // ends with ParseComplete
	opBind                       // ends with BindComplete
	opDescribe                   // ends with RowDescription or NoData
	opExecute                    // ends with CommandComplete, EmptyQueryResponse or PortalSuspended
	opClose                      // ends with CloseComplete
	opReply                      // answered by us, nothing comes from the server
	opCopyEnd                    // CopyDone or CopyFail sent ahead; nothing comes
)

type opFlag uint16

const (
	flagSwallow opFlag = 1 << iota // the answer is not the client's
	flagSetup                      // part of preparing the server for its client
	flagAsk                        // the answer's rows are settings for us
	flagAdded                      // the statement was added to the server's table
	flagDropped                    // the statement was dropped from the server's table
	flagQuiet                      // a SELECT of ours stands behind the client's statement: its answer is hidden
	flagForgets                    // it may deallocate every statement
	flagUnnamed                    // it changes the client's unnamed statement, which was prev
	flagBare                       // it makes st the server's unnamed statement; a Query always makes it none
	flagCall                       // a FunctionCall, which leaves the unnamed statement alone
)

// op is one reply a server owes.
type op struct {
	kind  opKind
	flags opFlag
	off   int32        // where the message stands in Server.unit; -1 = not kept
	st    *Statement   // opParse, opBind, opClose
	cs    *named       // the client's entry made (opParse, opReply) or removed (opClose)
	prev  *Statement   // flagUnnamed: held until the answer
	name  string       // opBind, opDescribe: what the client calls st
	rep   *wire.Report // stands in place of the error that will come
	code  string       // only in place of one with this SQLSTATE; "" = of any
	bytes byte         // opReply: the kind of the empty message to send
}

// ops is a ring of owed replies as a slice with a moving head: it empties at
// every Sync, so the space is used again without wrapping.
type ops struct {
	list []op
	head int
	open bool // what was sent last is not ended by a Sync: its transaction is still going
	ends int  // units in list: Parse asks, and a pipeline may be long
}

func (o *ops) empty() bool { return o.head == len(o.list) }
func (o *ops) first() *op  { return &o.list[o.head] }

// behind tells that a whole unit is still to be answered.
func (o *ops) behind() bool { return o.ends > 0 }

// count makes ends right after list was changed as a whole.
func (o *ops) count() {
	o.ends = 0
	for i := o.head; i < len(o.list); i++ {
		if o.list[i].ends() {
			o.ends++
		}
	}
}

// ends tells that p is the last of its unit.
func (p *op) ends() bool { return p.kind == opQuery || p.kind == opSync }

func (o *ops) pop() {
	if o.list[o.head].ends() {
		o.ends--
	}
	o.list[o.head] = op{}
	o.head++
	if o.head == len(o.list) {
		o.list, o.head = o.list[:0], 0
	}
}

func (o *ops) push(p op) {
	switch p.kind {
	case opQuery, opSync:
		o.open = false
		o.ends++
	case opCopyEnd:
	default:
		o.open = true
	}
	if o.head > 64 && o.head*2 > len(o.list) {
		n := copy(o.list, o.list[o.head:])
		clear(o.list[n:])
		o.list, o.head = o.list[:n], 0
	}
	o.list = append(o.list, p)
}
