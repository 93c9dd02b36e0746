use super::*;
use mempool::PoolError;
use serde_json::{Value, json};

fn shape(error: impl Into<RpcError>) -> Value {
    serde_json::to_value(ErrorObjectOwned::from(error.into())).expect("an error is JSON")
}

#[test]
fn a_revert_carries_its_reason_and_its_data() {
    let output = Bytes::from(Revert::from("no").abi_encode());
    let expected = json!({"code": 3, "message": "execution reverted: no", "data": output});
    assert_eq!(shape(RpcError::Reverted(output)), expected);
}

#[test]
fn a_custom_error_carries_its_data() {
    let output = Bytes::from_static(&[1, 2, 3, 4]);
    let expected = json!({"code": 3, "message": "execution reverted", "data": "0x01020304"});
    assert_eq!(shape(EstimateError::Reverted { output }), expected);
}

#[test]
fn refusals_of_the_pool_have_the_texts_that_wallets_look_for() {
    let refused = SubmitError::from(PoolError::NonceTooLow { transaction: 1, account: 2 });
    assert_eq!(shape(refused), json!({"code": -32000, "message": "nonce too low: next nonce 2, tx nonce 1"}));
    assert_eq!(shape(SubmitError::from(PoolError::AlreadyKnown)), json!({"code": -32000, "message": "already known"}));
}

#[test]
fn malformed_transactions_are_bad_parameters_and_blobs_are_refused() {
    let malformed = shape(TransactionError::Malformed("too short".into()));
    assert_eq!(malformed["code"], -32602);
    assert_eq!(shape(TransactionError::BlobsUnsupported)["code"], -32000);
}
