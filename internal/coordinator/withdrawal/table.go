package withdrawal

// transitions is the whole life cycle: for each state the events that it allows, and the state that each leads to. A withdrawal that
// has an anchor ends in rejected, expired or failed only with a known Fate of the anchor, else in burning: see Apply.
var transitions = map[State]map[Kind]State{
	Requested: {
		EventDeny: Denied, EventHold: Held, EventSubmit: AwaitingApproval, EventAllow: Approved, EventExpire: Expired, EventFail: Failed,
	},
	Held: {
		EventHold: Held, EventDeny: Denied, EventSubmit: AwaitingApproval, EventAllow: Approved, EventExpire: Expired,
	},
	AwaitingApproval: {
		EventApproval: AwaitingApproval, EventStatement: AwaitingApproval,
		EventApprove: Approved, EventReject: Rejected, EventExpire: Expired,
	},
	Approved: {
		EventApproval: Approved, EventStatement: Approved, EventRefuse: Approved, EventAck: Approved,
		EventPrepare: Approved, EventCertify: Reserved,
		EventReject: Rejected, EventExpire: Expired, EventFail: Failed,
	},
	Reserved: {
		EventApproval: Reserved, EventStatement: Reserved, EventRefuse: Reserved, EventAck: Reserved,
		EventPrepare: Approved, EventExport: Exported, EventCosign: Signing, EventAttempt: Signing,
		EventReject: Rejected, EventExpire: Expired, EventFail: Failed,
	},
	Exported: {
		EventApproval: Exported, EventStatement: Exported, EventRefuse: Exported, EventSign: Signed,
		EventReject: Rejected, EventExpire: Expired, EventFail: Failed,
	},
	Signing: {
		EventApproval: Signing, EventStatement: Signing, EventRefuse: Signing, EventAck: Signing,
		EventPrepare: Approved, EventCosign: Signing, EventAttempt: Signing, EventSign: Signed,
		EventReject: Rejected, EventExpire: Expired, EventFail: Failed,
	},
	Signed: {
		EventStatement: Signed, EventBroadcast: Broadcast, EventFail: Failed,
	},
	Broadcast: {
		EventStatement: Broadcast, EventInclude: Broadcast, EventReorganise: Broadcast,
		EventReplace: Replaced, EventConfirm: Confirmed, EventFail: Failed,
	},
	Replaced: {
		EventStatement: Replaced, EventInclude: Replaced, EventReorganise: Replaced,
		EventReplace: Replaced, EventConfirm: Confirmed, EventFail: Failed,
	},
	Confirmed: {
		EventReorganise: Broadcast, EventClose: Closed,
	},
	// A payment of the withdrawal may still confirm while its anchor is being burnt: the two conflict, the chain decides.
	Burning: {
		EventStatement: Burning, EventBurn: Burnt, EventConfirm: Confirmed, EventClose: Closed, EventFail: Failed,
	},
	Denied: {}, Rejected: {}, Expired: {}, Burnt: {}, Closed: {}, Failed: {},
}
