package cli

// UnfreezeView says how a quorum ends freezes, or keeps them.
type UnfreezeView struct {
	Lift    []StepView `json:"lift"`
	Confirm []StepView `json:"confirm"`
}

// StepView is a command, and who gives it or when.
type StepView struct {
	Command string `json:"command"`
	Note    string `json:"note,omitempty"`
}

// Unfreezing returns the commands that lift or confirm the live freezes.
func Unfreezing() UnfreezeView {
	return UnfreezeView{
		Lift: []StepView{
			{Command: "strongroom amendment new --lift --reason TEXT --out lift.amendment"},
			{Command: "strongroom amendment sign lift.amendment", Note: "each of the quorum's officers"},
			{Command: "strongroom amendment submit lift.amendment"},
			{Command: "strongroom amendment list", Note: "until enough signers held it"},
			{Command: "strongroom amendment enact DIGEST"},
		},
		Confirm: []StepView{{Command: "strongroom amendment new --confirm-freeze --reason TEXT --out keep.amendment"}},
	}
}

func (v UnfreezeView) writeText(t *text) {
	t.say("A freeze lapses by itself, unless a quorum confirmed it. A quorum lifts it before that by an amendment, which signers hold for a while:")
	writeSteps(t, v.Lift)
	t.say("In the same way, but without any delay, a quorum keeps a freeze from lapsing:")
	writeSteps(t, v.Confirm)
}

func writeSteps(t *text, steps []StepView) {
	for _, s := range steps {
		line := "  " + s.Command
		if s.Note != "" {
			line += "  (" + s.Note + ")"
		}
		t.say("%s", line)
	}
}
