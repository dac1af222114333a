package statement

func (s *Scanner) attendDiscard(k keyword) {
	switch k {
	case kwAll:
		s.current |= DiscardAll
	case kwPlans:
		s.current |= DiscardPlans
	case kwSequences:
		s.current |= DiscardSequences
	case kwTemp, kwTemporary:
		s.current |= DiscardTemp
	}
	s.stage = stageSkip
}

// attendDeallocate reads DEALLOCATE [PREPARE] name or ALL. PREPARE itself may
// be the name.
func (s *Scanner) attendDeallocate(k keyword) {
	if k == kwPrepare && s.before.isKeyword(kwDeallocate) {
		return
	}
	if k == kwAll {
		s.current = s.current&^Deallocate | DeallocateAll
	}
	s.stage = stageSkip
}

// attendRollback tells ROLLBACK from ROLLBACK TO and from ROLLBACK PREPARED.
func (s *Scanner) attendRollback(k keyword) {
	switch k {
	case kwPrepared:
		s.current = TwoPhase
		s.stage = stageSkip
	case kwTo:
		s.current = Savepoint
		s.stage = stageSkip
	}
}

func (s *Scanner) attendDeclare(k keyword) {
	switch {
	case k == kwHold && s.before.isKeyword(kwWith):
		s.current |= HoldCursor
	case k == kwFor:
		s.stage = stageQuery
	}
}

// attendPrepare tells PREPARE name from PREPARE TRANSACTION 'x', where
// TRANSACTION may be the name too.
func (s *Scanner) attendPrepare(k keyword) {
	switch {
	case s.stage == stagePrepare && k == kwTransaction:
		s.stage = stagePrepareTransaction
		return
	case s.stage == stagePrepareTransaction && s.token == tokenOperand:
		s.current = TwoPhase
		s.stage = stageSkip
		return
	case s.stage != stagePrepare && k == kwAs && s.depth == 0:
		s.stage = stageQuery
		return
	}
	s.stage = stagePrepareAs
}

// attendExplain skips the options of EXPLAIN, then reads its statement.
func (s *Scanner) attendExplain(k keyword) {
	if s.token.kind() != tokenName {
		return
	}
	switch k {
	case kwSelect, kwValues, kwWith, kwTable:
	case kwAnalyze, kwAnalyse, kwVerbose:
		return
	default:
		if s.depth > 0 { // an option
			return
		}
	}
	if k == kwWith {
		s.before = tokenNone
	}
	s.dispatch(k)
	s.readable = false
}

// attendCreate reads CREATE up to the kind of the object.
func (s *Scanner) attendCreate(k keyword) {
	switch k {
	case kwTemp, kwTemporary:
		s.current |= Temp
	case kwOr, kwReplace, kwGlobal, kwLocal, kwUnlogged, kwMaterialized, kwRecursive:
	case kwTable:
		s.stage = stageCreateTable
	case kwView:
		s.stage = stageSkip
		if s.before.isKeyword(kwMaterialized) {
			s.stage = stageCreateTable
		}
	case kwFunction, kwProcedure:
		s.stage = stageFunction
	case kwExtension:
		s.current |= Opaque
		s.stage = stageSkip
	default:
		if s.token.kind() == tokenName {
			s.stage = stageSkip
		}
	}
}

// attendCreateTable finds the query of CREATE TABLE … AS, and ON COMMIT DROP,
// after which the table is gone with its transaction.
func (s *Scanner) attendCreateTable(k keyword) {
	if s.stage == stageCreateAs {
		if k == kwExecute {
			s.current |= Execute
		}
		s.stage = stageQuery
		if k == kwWith {
			s.heedWith()
		}
		return
	}
	if s.depth > 0 {
		return
	}
	switch {
	case k == kwAs:
		s.stage = stageCreateAs
	case k == kwDrop && s.before.isKeyword(kwCommit):
		s.current &^= Temp
	}
}

// attendFunction counts the blocks of BEGIN ATOMIC … END, inside of which a
// semicolon does not end the statement. The count is not certain, hence Opaque.
func (s *Scanner) attendFunction(k keyword) {
	switch {
	case k == kwAtomic && s.before.isKeyword(kwBegin) && s.atomic == 0:
		s.current |= Opaque
		s.atomic = 1
	case s.atomic == 0:
	case k == kwCase:
		s.atomic++
	case k == kwEnd:
		s.atomic--
	}
}

func (s *Scanner) attendAlter(k keyword) {
	switch k {
	case kwTable:
		s.stage = stageQuery
	case kwExtension:
		s.current |= Opaque
		s.stage = stageSkip
	default:
		s.stage = stageSkip
	}
}

// attendCopy finds the direction of COPY and the query in it.
func (s *Scanner) attendCopy(k keyword) {
	switch {
	case s.stage == stageCopy && s.token == tokenOpen:
		s.stage = stageQuery
	case s.depth > 0:
	case k == kwFrom:
		s.current |= Write
	case k == kwWhere:
		s.stage = stageQuery
	default:
		s.stage = stageCopyTable
	}
}
