package differential

import "github.com/jackc/pgx/v5/pgproto3"

// Short words for messages, so that a script reads as a conversation.

type msg = pgproto3.FrontendMessage

func q(sql string) msg { return &pgproto3.Query{String: sql} }

func parse(name, sql string, oids ...uint32) msg {
	return &pgproto3.Parse{Name: name, Query: sql, ParameterOIDs: oids}
}

// bind binds text parameters and asks for text results.
func bind(portal, statement string, params ...string) msg {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
	for _, p := range params {
		b.Parameters = append(b.Parameters, []byte(p))
	}
	return b
}

func describeStatement(name string) msg { return &pgproto3.Describe{ObjectType: 'S', Name: name} }
func describePortal(name string) msg    { return &pgproto3.Describe{ObjectType: 'P', Name: name} }
func closeStatement(name string) msg    { return &pgproto3.Close{ObjectType: 'S', Name: name} }
func closePortal(name string) msg       { return &pgproto3.Close{ObjectType: 'P', Name: name} }

func execute(portal string, limit uint32) msg {
	return &pgproto3.Execute{Portal: portal, MaxRows: limit}
}

func sync() msg             { return &pgproto3.Sync{} }
func flush() msg            { return &pgproto3.Flush{} }
func copyData(s string) msg { return &pgproto3.CopyData{Data: []byte(s)} }
func copyDone() msg         { return &pgproto3.CopyDone{} }
func copyFail(s string) msg { return &pgproto3.CopyFail{Message: s} }
func terminate() msg        { return &pgproto3.Terminate{} }
func hangUp() step          { return sayUntil("$", terminate()) }

// call is the function call message, with binary arguments and result.
func call(oid uint32, args ...[]byte) msg {
	return &pgproto3.FunctionCall{Function: oid, ArgFormatCodes: []uint16{1}, Arguments: args, ResultFormatCode: 1}
}

// unit is one extended query on the unnamed statement and portal, with Sync.
func unit(sql string, params ...string) []msg {
	return []msg{parse("", sql), bind("", "", params...), describePortal(""), execute("", 0), sync()}
}
