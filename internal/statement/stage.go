package statement

// stage is where in its statement the scanner is. It attends to every token
// before stageQuery and heeds few words from there on.
type stage uint8

const (
	stageStart              stage = iota // before the first word
	stageSet                             // after SET
	stageSetLocal                        // after SET LOCAL
	stageSetSession                      // after SET SESSION
	stageSetTransaction                  // after SET TRANSACTION or CONSTRAINTS
	stageSetRole                         // after SET ROLE
	stageSetRest                         // in the value
	stageReset                           // after RESET
	stageDiscard                         // after DISCARD
	stageDeallocate                      // after DEALLOCATE
	stageRollback                        // after ROLLBACK, ABORT, COMMIT or END
	stageDeclare                         // in DECLARE before FOR
	stagePrepare                         // after PREPARE
	stagePrepareTransaction              // after PREPARE TRANSACTION
	stagePrepareAs                       // in PREPARE before AS
	stageExplain                         // after EXPLAIN and in its options
	stageCreate                          // in CREATE before the kind of object
	stageCreateTable                     // in CREATE TABLE before AS
	stageCreateAs                        // after the AS of it
	stageFunction                        // in CREATE FUNCTION
	stageAlter                           // after ALTER
	stageCopy                            // after COPY
	stageCopyTable                       // after COPY table
	stageQuery                           // where functions may be called
	stageSkip                            // where nothing matters any more
)

// attend takes the last token in a stage before stageQuery; w is its text if it
// is a name without a qualifier.
func (s *Scanner) attend(w []byte) {
	k := kwNone
	if s.token.kind() == tokenName {
		k = s.token.word()
	}
	switch s.stage {
	case stageStart:
		s.begin(k)
	case stageSet, stageSetLocal, stageSetSession, stageSetTransaction, stageSetRole:
		s.attendSet(k, w)
	case stageReset:
		s.attendReset(k, w)
	case stageDiscard:
		s.attendDiscard(k)
	case stageDeallocate:
		s.attendDeallocate(k)
	case stageRollback:
		s.attendRollback(k)
	case stageDeclare:
		s.attendDeclare(k)
	case stagePrepare, stagePrepareTransaction, stagePrepareAs:
		s.attendPrepare(k)
	case stageExplain:
		s.attendExplain(k)
	case stageCreate:
		s.attendCreate(k)
	case stageCreateTable, stageCreateAs:
		s.attendCreateTable(k)
	case stageFunction:
		s.attendFunction(k)
	case stageAlter:
		s.attendAlter(k)
	case stageCopy, stageCopyTable:
		s.attendCopy(k)
	}
}

// begin takes the first token of a statement.
func (s *Scanner) begin(k keyword) {
	if s.token == tokenOpen {
		return
	}
	if s.started {
		s.several = true
	}
	s.started = true
	s.dispatch(k)
}

// first says what a statement does that begins with the word, and the stage
// that reads on.
type first struct {
	effect Effect
	stage  stage
}

// dispatch takes the word that names the statement. It is a straight table.
func (s *Scanner) dispatch(k keyword) {
	var f first
	switch k {
	case kwSelect, kwValues, kwTable:
		s.readable = true
		f = first{0, stageQuery}
	case kwWith:
		s.readable = true
		f = first{0, stageQuery}
		s.heedWith()
	case kwShow:
		s.readable = true
		f = first{SessionFunction, stageSkip}
	case kwInsert, kwUpdate, kwDelete, kwMerge:
		s.merging = k == kwMerge
		f = first{Write, stageQuery}
	case kwBegin, kwStart:
		f = first{Begin, stageSkip}
	case kwCommit, kwEnd:
		f = first{Commit, stageRollback}
	case kwRollback, kwAbort:
		f = first{Rollback, stageRollback}
	case kwSavepoint, kwRelease:
		f = first{Savepoint, stageSkip}
	case kwSet:
		s.watch = true
		f = first{0, stageSet}
	case kwReset:
		f = first{0, stageReset}
	case kwDiscard:
		f = first{0, stageDiscard}
	case kwPrepare:
		f = first{Prepare, stagePrepare}
	case kwExecute:
		f = first{Execute, stageQuery}
	case kwDeallocate:
		f = first{Deallocate, stageDeallocate}
	case kwDeclare:
		f = first{0, stageDeclare}
	case kwFetch, kwMove, kwClose:
		f = first{0, stageSkip}
	case kwListen:
		f = first{Listen, stageSkip}
	case kwUnlisten:
		f = first{Unlisten, stageSkip}
	case kwNotify:
		f = first{Notify, stageSkip}
	case kwLoad:
		f = first{Load, stageSkip}
	case kwCopy:
		f = first{Copy, stageCopy}
	case kwExplain:
		f = first{0, stageExplain}
	case kwCreate:
		f = first{Write, stageCreate}
	case kwAlter:
		f = first{Write, stageAlter}
	case kwDrop, kwTruncate, kwGrant, kwRevoke, kwComment, kwVacuum, kwAnalyze, kwAnalyse, kwCluster, kwReindex, kwCheckpoint, kwLock,
		kwRefresh, kwReassign, kwSecurity, kwImport:
		f = first{Write, stageSkip}
	case kwStartReplication, kwIdentifySystem, kwBaseBackup, kwCreateReplicationSlot, kwDropReplicationSlot, kwAlterReplicationSlot,
		kwReadReplicationSlot, kwTimelineHistory, kwUploadManifest:
		f = first{Replication, stageSkip}
	default: // DO, CALL and what is not known
		f = first{Opaque | Write, stageSkip}
	}
	s.current |= f.effect
	s.stage = f.stage
}

// heed takes a word that means something inside of a query.
func (s *Scanner) heed(k keyword) {
	switch k {
	case kwSelect, kwValues, kwSearch, kwCycle:
		s.endCTEs()
	case kwBy:
		s.grouping = s.before.isKeyword(kwGroup)
	case kwPgSettings:
		s.heedSettings()
	case kwInsert, kwUpdate, kwDelete, kwMerge:
		s.endCTEs()
		s.current |= Write
	case kwCase:
		s.merging = false
	case kwWith:
		s.heedWith()
	case kwInto:
		s.current |= Write
	case kwTemp, kwTemporary:
		if b := s.before.word(); b == kwInto || b == kwLocal || b == kwGlobal {
			s.current |= Write | Temp
		}
	case kwShare, kwKey, kwNo:
		if s.before.isKeyword(kwFor) {
			s.current |= Write
		}
	case kwExecute:
		if s.before.isKeyword(kwAs) {
			s.current |= Execute
		}
	case kwCurrentUser, kwCurrentRole, kwCurrentSchema, kwSessionUser, kwSystemUser, kwUser:
		s.current |= SessionFunction
	}
}

// heedWith notes the beginning of a WITH list, in which the names that are
// followed by '(' are not called.
func (s *Scanner) heedWith() {
	b := s.before
	if b == tokenNone || b == tokenOpen || b.isKeyword(kwAs) || b.isKeyword(kwFor) {
		if s.depth < 64 {
			s.ctes |= 1 << uint(s.depth)
		}
	}
}

func (s *Scanner) endCTEs() {
	if s.depth < 64 {
		s.ctes &^= 1 << uint(s.depth)
	}
}
