// Package demo plays the main job on a devnet: withdrawals from request to confirmed, approvals and rejections, refusals, a killed
// signer, a killed coordinator, and a hostile one. It works as people do, through the tool `strongroom`, checks every payment on the
// chain, and writes down what happened. The demonstration and the end-to-end test are the same code; whatever is not as it should be is
// an error.
package demo
