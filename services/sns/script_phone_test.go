package sns

import (
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// phoneScripts are cases of texts.
var phoneScripts = map[string]func(r *run, variant string){
	"test_get_sms_attributes_from_unmodified_region": func(r *run, _ string) {
		out, err := r.client.GetSMSAttributes(r.ctx, &sns.GetSMSAttributesInput{})
		r.step("get-sms-attributes_unmodified_region", r.answer(out, err))
	},
	"test_list_phone_numbers_opted_out": func(r *run, _ string) {
		must(r.t, r.db.Update(r.ctx, func(tx *store.Tx) error {
			return topic.OptOuts.Put(tx, topic.OptOut{Scope: cluster.Scope{Account: account, Region: region}, Number: "+14155552671"})
		}))
		out, err := r.client.ListPhoneNumbersOptedOut(r.ctx, &sns.ListPhoneNumbersOptedOutInput{})
		r.step("list-phone-numbers-opted-out", r.answer(out, err))
	},
	"test_opt_in_invalid_number": func(r *run, _ string) {
		out, err := r.client.OptInPhoneNumber(r.ctx, &sns.OptInPhoneNumberInput{PhoneNumber: ptr("invalid")})
		r.step("opt-in-non-existing-number", r.answer(out, err))
	},
	"test_opt_in_non_existing_phone_number": func(r *run, _ string) {
		out, err := r.client.OptInPhoneNumber(r.ctx, &sns.OptInPhoneNumberInput{PhoneNumber: ptr("+14155552671")})
		r.step("opt-in-non-existing-number", r.answer(out, err))
	},
	"test_set_get_sms_attributes": func(r *run, _ string) {
		_, err := r.client.SetSMSAttributes(r.ctx, &sns.SetSMSAttributesInput{Attributes: pairs([]string{"DefaultSMSType", "Promotional", "DefaultSenderID", "LSTest", "DeliveryStatusSuccessSamplingRate", "100"})})
		must(r.t, err)
		out, err := r.client.GetSMSAttributes(r.ctx, &sns.GetSMSAttributesInput{})
		r.step("get-sms-all-attributes", r.answer(out, err))
		out, err = r.client.GetSMSAttributes(r.ctx, &sns.GetSMSAttributesInput{Attributes: []string{"DefaultSMSType", "DefaultSenderID"}})
		r.step("get-sms-some-attributes", r.answer(out, err))
	},
	"test_set_invalid_sms_attributes": func(r *run, _ string) {
		out, err := r.client.SetSMSAttributes(r.ctx, &sns.SetSMSAttributesInput{Attributes: pairs([]string{"DefaultSendID", "TooLong"})})
		r.step("invalid-attribute", r.answer(out, err))
	},
}
