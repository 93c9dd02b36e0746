//! Route S3's operations to what serves them. What is not named here answers `NotImplemented`.

use super::Service;
use crate::storage::Storage;
use s3s::{S3, S3Request, S3Response, S3Result, dto::*};

/// Names each operation of S3 with the method that serves it.
macro_rules! operations {
    ($($operation:ident, $input:ident, $output:ident => $method:ident;)*) => {
        #[async_trait::async_trait]
        impl<S: Storage> S3 for Service<S> {
            $(
                async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.$method(request).await
                }
            )*
        }
    };
}

operations! {
    put_object, PutObjectInput, PutObjectOutput => put;
    get_object, GetObjectInput, GetObjectOutput => get;
    head_object, HeadObjectInput, HeadObjectOutput => head;
    delete_object, DeleteObjectInput, DeleteObjectOutput => delete;
    delete_objects, DeleteObjectsInput, DeleteObjectsOutput => delete_many;
    get_object_attributes, GetObjectAttributesInput, GetObjectAttributesOutput => attributes;
    copy_object, CopyObjectInput, CopyObjectOutput => copy;
    create_multipart_upload, CreateMultipartUploadInput, CreateMultipartUploadOutput => begin_upload;
    upload_part, UploadPartInput, UploadPartOutput => upload_part;
    upload_part_copy, UploadPartCopyInput, UploadPartCopyOutput => copy_part;
    complete_multipart_upload, CompleteMultipartUploadInput, CompleteMultipartUploadOutput => complete_upload;
    abort_multipart_upload, AbortMultipartUploadInput, AbortMultipartUploadOutput => abort_upload;
    list_parts, ListPartsInput, ListPartsOutput => list_parts;
    list_multipart_uploads, ListMultipartUploadsInput, ListMultipartUploadsOutput => list_uploads;
    list_objects, ListObjectsInput, ListObjectsOutput => list_v1;
    list_objects_v2, ListObjectsV2Input, ListObjectsV2Output => list_v2;
    list_object_versions, ListObjectVersionsInput, ListObjectVersionsOutput => list_versions;
    create_bucket, CreateBucketInput, CreateBucketOutput => create_bucket;
    list_buckets, ListBucketsInput, ListBucketsOutput => list_buckets;
    head_bucket, HeadBucketInput, HeadBucketOutput => head_bucket;
    delete_bucket, DeleteBucketInput, DeleteBucketOutput => delete_bucket;
    get_bucket_location, GetBucketLocationInput, GetBucketLocationOutput => location;
    get_bucket_cors, GetBucketCorsInput, GetBucketCorsOutput => get_cors;
    put_bucket_cors, PutBucketCorsInput, PutBucketCorsOutput => put_cors;
    delete_bucket_cors, DeleteBucketCorsInput, DeleteBucketCorsOutput => delete_cors;
    get_bucket_lifecycle_configuration, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput => get_lifecycle;
    put_bucket_lifecycle_configuration, PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput => put_lifecycle;
    delete_bucket_lifecycle, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput => delete_lifecycle;
    get_bucket_tagging, GetBucketTaggingInput, GetBucketTaggingOutput => get_bucket_tags;
    put_bucket_tagging, PutBucketTaggingInput, PutBucketTaggingOutput => put_bucket_tags;
    delete_bucket_tagging, DeleteBucketTaggingInput, DeleteBucketTaggingOutput => delete_bucket_tags;
    get_bucket_encryption, GetBucketEncryptionInput, GetBucketEncryptionOutput => get_encryption;
    put_bucket_encryption, PutBucketEncryptionInput, PutBucketEncryptionOutput => put_encryption;
    delete_bucket_encryption, DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput => delete_encryption;
    get_bucket_policy, GetBucketPolicyInput, GetBucketPolicyOutput => get_policy;
    put_bucket_policy, PutBucketPolicyInput, PutBucketPolicyOutput => put_policy;
    delete_bucket_policy, DeleteBucketPolicyInput, DeleteBucketPolicyOutput => delete_policy;
    get_bucket_policy_status, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput => policy_status;
    get_bucket_versioning, GetBucketVersioningInput, GetBucketVersioningOutput => get_versioning;
    put_bucket_versioning, PutBucketVersioningInput, PutBucketVersioningOutput => put_versioning;
    get_bucket_acl, GetBucketAclInput, GetBucketAclOutput => get_bucket_acl;
    put_bucket_acl, PutBucketAclInput, PutBucketAclOutput => put_bucket_acl;
    get_object_acl, GetObjectAclInput, GetObjectAclOutput => get_object_acl;
    put_object_acl, PutObjectAclInput, PutObjectAclOutput => put_object_acl;
    get_object_tagging, GetObjectTaggingInput, GetObjectTaggingOutput => get_tags;
    put_object_tagging, PutObjectTaggingInput, PutObjectTaggingOutput => put_tags;
    delete_object_tagging, DeleteObjectTaggingInput, DeleteObjectTaggingOutput => delete_tags;
    get_object_lock_configuration, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput => get_lock;
    put_object_lock_configuration, PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput => put_lock;
    get_object_retention, GetObjectRetentionInput, GetObjectRetentionOutput => get_retention;
    put_object_retention, PutObjectRetentionInput, PutObjectRetentionOutput => put_retention;
    get_object_legal_hold, GetObjectLegalHoldInput, GetObjectLegalHoldOutput => get_hold;
    put_object_legal_hold, PutObjectLegalHoldInput, PutObjectLegalHoldOutput => put_hold;
    get_public_access_block, GetPublicAccessBlockInput, GetPublicAccessBlockOutput => get_block;
    put_public_access_block, PutPublicAccessBlockInput, PutPublicAccessBlockOutput => put_block;
    delete_public_access_block, DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput => delete_block;
    get_bucket_ownership_controls, GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput => get_ownership;
    put_bucket_ownership_controls, PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput => put_ownership;
    delete_bucket_ownership_controls, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput => delete_ownership;
    get_bucket_request_payment, GetBucketRequestPaymentInput, GetBucketRequestPaymentOutput => payment;
    get_bucket_logging, GetBucketLoggingInput, GetBucketLoggingOutput => logging;
    get_bucket_notification_configuration, GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput => notifications;
}
