/* Values and keys that operations of faults.h share. */
#ifndef TESTS_RECORD_FAULTS_VALUES_H
#define TESTS_RECORD_FAULTS_VALUES_H

#define INTEGER(i)                                       \
	{                                                \
		.kind = AMEND_INTEGER, .as.integer = (i) \
	}
#define TEXT(t)                                                           \
	{                                                                 \
		.kind = AMEND_TEXT, .size = sizeof(t) - 1, .as.text = (t) \
	}

#endif
