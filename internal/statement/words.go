package statement

import "encoding/binary"

// keyword numbers the words that the scanner tells apart. kwNone is no key
// word, kwOther a key word without a meaning here.
type keyword uint8

//go:generate go test -run TestTables -update

const (
	kwNone keyword = iota
	kwOther
	kwAbort
	kwAll
	kwAlter
	kwAlterReplicationSlot
	kwAnalyse
	kwAnalyze
	kwAs
	kwAtomic
	kwAuthorization
	kwBaseBackup
	kwBegin
	kwBit
	kwBy
	kwCall
	kwCase
	kwChar
	kwCharacter
	kwCharacteristics
	kwCheckpoint
	kwClose
	kwCluster
	kwComment
	kwCommit
	kwConflict
	kwConstraints
	kwCopy
	kwCreate
	kwCreateReplicationSlot
	kwCross
	kwCube
	kwCurrentRole
	kwCurrentSchema
	kwCurrentUser
	kwCycle
	kwDeallocate
	kwDeclare
	kwDelete
	kwDiscard
	kwDistinct
	kwDo
	kwDrop
	kwDropReplicationSlot
	kwEnd
	kwExecute
	kwExplain
	kwExtension
	kwFetch
	kwFirst
	kwFor
	kwForeign
	kwFrom
	kwFull
	kwFunction
	kwGlobal
	kwGrant
	kwGroup
	kwGrouping
	kwHold
	kwIdentifySystem
	kwImport
	kwInner
	kwInsert
	kwInto
	kwJoin
	kwKey
	kwLeft
	kwListen
	kwLoad
	kwLocal
	kwLock
	kwMaterialized
	kwMerge
	kwMove
	kwNatural
	kwNchar
	kwNext
	kwNo
	kwNotify
	kwOn
	kwOperator
	kwOr
	kwOrder
	kwOuter
	kwPartition
	kwPgSettings
	kwPlans
	kwPrepare
	kwPrepared
	kwPrimary
	kwProcedure
	kwReadReplicationSlot
	kwReassign
	kwRecursive
	kwReferences
	kwRefresh
	kwReindex
	kwRelease
	kwReplace
	kwReset
	kwRevoke
	kwRight
	kwRole
	kwRollback
	kwRollup
	kwSavepoint
	kwSearch
	kwSecurity
	kwSelect
	kwSequences
	kwSession
	kwSessionAuthorization
	kwSessionUser
	kwSet
	kwSets
	kwShare
	kwShow
	kwStart
	kwStartReplication
	kwStdin
	kwStdout
	kwSystemUser
	kwTable
	kwTemp
	kwTemporary
	kwThen
	kwTime
	kwTimelineHistory
	kwTo
	kwTransaction
	kwTrue
	kwTruncate
	kwUnlisten
	kwUnlogged
	kwUpdate
	kwUploadManifest
	kwUser
	kwVacuum
	kwValues
	kwVarying
	kwVerbose
	kwView
	kwWhere
	kwWith
	kwZone
	kwEnds // one past the last
)

// Flags of a word.
const (
	// wordSyntax: never the name of a function when it is not quoted.
	wordSyntax = 1 << iota
	// wordHeeded: means something inside of a query, so the scanner stops there.
	wordHeeded
	// wordLabels: a name with a parenthesis after it is not called when this word
	// stands before the name (INTO t (a), AS t (a)).
	wordLabels
)

// wordEntry is a key word. head and tail are its first and last eight bytes
// with bit 0x20 set, as wordKey makes them.
type wordEntry struct {
	head, tail uint64
	n          uint8
	token      token
}

const fold8 = 0x2020202020202020

// wordKey gives the first and the last eight bytes of w, folded. Words that
// differ only in the case of ASCII letters have the same key. tail is zero for
// words of up to eight bytes.
func wordKey(w []byte) (head, tail uint64) {
	n := len(w)
	if n > 8 {
		return binary.LittleEndian.Uint64(w) | fold8, binary.LittleEndian.Uint64(w[n-8:]) | fold8
	}
	if n == 8 {
		return binary.LittleEndian.Uint64(w) | fold8, 0
	}
	if n >= 4 {
		lo := uint64(binary.LittleEndian.Uint32(w))
		hi := uint64(binary.LittleEndian.Uint32(w[n-4:]))
		return lo | hi<<(8*(uint(n)-4)) | fold8, 0
	}
	for i := n - 1; i >= 0; i-- {
		head = head<<8 | uint64(w[i])
	}
	return head | fold8, 0
}

// wordHash spreads a key over a table of 1<<size slots.
func wordHash(head, tail uint64, n int, size uint) uint64 {
	h := (head ^ tail*0x9e3779b97f4a7c15 ^ uint64(n)) * 0xff51afd7ed558ccd
	return h >> (64 - size)
}

// findWord gives the token of the key word w, tokenName for other words.
func findWord(w []byte) token { return wordToken(w, 0, len(w)) }

// findEntry looks for a key word in the slot and in those behind it.
func findEntry(slot uint16, head, tail uint64, w []byte) *wordEntry {
	for h := wordHash(head, tail, len(w), wordBits); slot != 0; slot = wordSlots[h] {
		e := &wordEntries[slot]
		if e.head == head && e.tail == tail && int(e.n) == len(w) && (len(w) <= 16 || foldedEqual(w, wordNames[slot])) {
			return e
		}
		h = (h + 1) & (1<<wordBits - 1)
	}
	return nil
}

// foldedEqual compares w with a lower-case name, ignoring the case of ASCII
// letters in w.
func foldedEqual(w []byte, name string) bool {
	if len(w) != len(name) {
		return false
	}
	for i := range len(name) {
		if lower(w[i]) != name[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c | 0x20
	}
	return c
}

// functionEntry is a built-in function: where its name lies in functionNames,
// and its class.
type functionEntry struct {
	at    uint16
	n     uint8
	class functionClass
}

// functionClass says what calling a built-in function does.
type functionClass uint8

const (
	functionPlain functionClass = iota
	functionVolatile
	functionWrite
	functionSession
	functionAdvisory
	functionSticky
	functionNotify
	functionRunsSQL
	functionSetConfig
	functionUnknown
)

var functionEffects = [...]Effect{
	functionPlain:     0,
	functionVolatile:  Volatile,
	functionWrite:     Write | Volatile,
	functionSession:   SessionFunction,
	functionAdvisory:  Advisory | Volatile,
	functionSticky:    Sticky | SessionFunction | Write | Volatile,
	functionNotify:    Notify | Write | Volatile,
	functionRunsSQL:   UnknownFunction | Volatile,
	functionSetConfig: SetConfig | SessionFunction | Volatile,
	functionUnknown:   UnknownFunction | Volatile,
}

// findFunction gives the class of the built-in function w; exact is for quoted
// names, which are not folded.
func findFunction(w []byte, exact bool) functionClass {
	head, tail := wordKey(w)
	for h := wordHash(head, tail, len(w), functionBits); ; h = (h + 1) & (1<<functionBits - 1) {
		slot := functionSlots[h]
		if slot == 0 {
			return functionUnknown
		}
		e := functionEntries[slot]
		name := functionNames[e.at : int(e.at)+int(e.n)]
		if exact && string(w) == name || !exact && foldedEqual(w, name) {
			return e.class
		}
	}
}
